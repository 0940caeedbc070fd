// Numbers of PROTOCOL.krl; for this folder.
#pragma once

#define KRL_MAGIC "SSHKRL\n"  // its NUL counts
#define KRL_FORMAT 1
#define KRL_SHA1_SIZE 20
#define KRL_SHA256_SIZE 32

enum krl_section {
    KRL_SECTION_CERTIFICATES = 1,
    KRL_SECTION_KEYS = 2,
    KRL_SECTION_SHA1 = 3,
    KRL_SECTION_SIGNATURE = 4,
    KRL_SECTION_SHA256 = 5,
    KRL_SECTION_EXTENSION = 255,
};

// Parts of a section of certificates.
enum krl_part {
    KRL_PART_SERIALS = 0x20,
    KRL_PART_RANGE = 0x21,
    KRL_PART_BITMAP = 0x22,
    KRL_PART_KEY_IDS = 0x23,
    KRL_PART_EXTENSION = 0x39,
};
