// SFTP version 3 (draft-ietf-secsh-filexfer-02) and OpenSSH's extensions: numbers and
// limits.
#pragma once

#include <stdint.h>

#define SFTP_VERSION 3u

enum sftp_type {
    SFTP_INIT = 1,
    SFTP_VERSION_REPLY = 2,
    SFTP_OPEN = 3,
    SFTP_CLOSE = 4,
    SFTP_READ = 5,
    SFTP_WRITE = 6,
    SFTP_LSTAT = 7,
    SFTP_FSTAT = 8,
    SFTP_SETSTAT = 9,
    SFTP_FSETSTAT = 10,
    SFTP_OPENDIR = 11,
    SFTP_READDIR = 12,
    SFTP_REMOVE = 13,
    SFTP_MKDIR = 14,
    SFTP_RMDIR = 15,
    SFTP_REALPATH = 16,
    SFTP_STAT = 17,
    SFTP_RENAME = 18,
    SFTP_READLINK = 19,
    SFTP_SYMLINK = 20,
    SFTP_STATUS = 101,
    SFTP_HANDLE = 102,
    SFTP_DATA = 103,
    SFTP_NAME = 104,
    SFTP_ATTRS = 105,
    SFTP_EXTENDED = 200,
    SFTP_EXTENDED_REPLY = 201,
};

// s.7 of the draft. LATER never goes over the wire: a vfs's answer comes afterwards.
enum sftp_status {
    SFTP_OK = 0,
    SFTP_EOF = 1,
    SFTP_NO_SUCH_FILE = 2,
    SFTP_PERMISSION_DENIED = 3,
    SFTP_FAILURE = 4,
    SFTP_BAD_MESSAGE = 5,
    SFTP_NO_CONNECTION = 6,
    SFTP_CONNECTION_LOST = 7,
    SFTP_OP_UNSUPPORTED = 8,
    SFTP_LATER = 100,
};

// s.6.3: flags of OPEN
#define SFTP_OPEN_READ 0x01u
#define SFTP_OPEN_WRITE 0x02u
#define SFTP_OPEN_APPEND 0x04u
#define SFTP_OPEN_CREATE 0x08u
#define SFTP_OPEN_TRUNCATE 0x10u
#define SFTP_OPEN_EXCLUSIVE 0x20u

// Bytes of one packet behind its length field, and of the data in one READ or WRITE: as
// OpenSSH has them, which clients take from limits@openssh.com.
#define SFTP_PACKET_MAX (256u * 1024u)
#define SFTP_DATA_MAX (SFTP_PACKET_MAX - 1024u)
// length, type, id, length of the data: what stands before the data of a DATA packet.
#define SFTP_DATA_HEAD 13u
