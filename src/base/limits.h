// Every limit in one place: its value, and the attack or RFC line it answers.
#pragma once

// RFC 4253 s.4.2: the identification line, CR LF included.
#define LIMIT_IDENT_LINE 255
// Lines a server may send before its identification; an endless banner is an attack on
// clients.
#define LIMIT_IDENT_TEXT_LINES 1024
// Bytes of one such line (OpenSSH: 8192).
#define LIMIT_IDENT_TEXT_LINE 8192u
// packet_length of RFC 4253 s.6, as OpenSSH has it: 256 KiB, padding included.
#define LIMIT_PACKET (256u * 1024u)
// RFC 4253 s.6.1: every peer takes packets of 35000 bytes.
#define LIMIT_PACKET_DEFAULT 35000u
// Before authentication no message to a server needs more: a KEXINIT of 10 generous
// lists, or a certificate. (A client takes a long banner.)
#define LIMIT_PACKET_PREAUTH (64u * 1024u)
// Bytes and packets a peer may send in one link before authentication (OpenSSH 10.3 has
// such too).
#define LIMIT_PREAUTH_BYTES (1024u * 1024u)
#define LIMIT_PREAUTH_PACKETS 2048u
// Ciphertext not yet taken by the peer; past it the reading stops (CVE-2025-26466).
#define LIMIT_OUT_PENDING (4u * 1024u * 1024u)
// Answers (PONG, UNIMPLEMENTED) that wait for the end of a rekey; more of them ends the
// link.
#define LIMIT_DEFERRED (256u * 1024u)
// Names in one name-list, entries in EXT_INFO (libssh2 CVE-2026-55199).
#define LIMIT_NAME_LIST 256
#define LIMIT_EXT_INFO 64
// RFC 4252 s.5: user names; longer than any account name on Linux.
#define LIMIT_USER_NAME 255
// Prompts of one keyboard-interactive INFO_REQUEST (CVE-2002-0639: counts from the wire).
#define LIMIT_KBDINT_PROMPTS 16
// Requests and bytes that wait while one is being judged; past it the link is not read.
#define LIMIT_AUTH_QUEUE 16u
#define LIMIT_AUTH_QUEUE_BYTES (128u * 1024u)
// Signatures a client makes, and partial successes it takes, for one login: a server that
// answers each with partial success would get them without end.
#define LIMIT_AUTH_SIGNATURES 32u
#define LIMIT_AUTH_PARTIAL 8u
// Banners a client takes in one login.
#define LIMIT_AUTH_BANNERS 64u
// Packets under one key: RFC 4344 s.3.1 says 2^32 at most, we renew at half.
#define LIMIT_REKEY_PACKETS (1u << 31)
// Bulk payload in one CHANNEL_DATA to a stock peer, and between Bowline peers.
#define LIMIT_CHANNEL_PACKET (32u * 1024u)
#define LIMIT_CHANNEL_PACKET_BOWLINE (LIMIT_PACKET - 1024u)
// Windows: opened at the first, grown up to the second while the reader keeps up.
#define LIMIT_WINDOW_START (2u * 1024u * 1024u)
#define LIMIT_WINDOW_MAX (64u * 1024u * 1024u)
// With other peers: OpenSSH buffers as much of its input as our window takes, in a buffer
// that it copies whole for every few bytes of growth; at 64 MiB that costs it 10 s of CPU
// for each GB.
#define LIMIT_WINDOW_MAX_STOCK (8u * 1024u * 1024u)
// Messages 80 and up that a client may send along with an authentication request, in
// bytes (early-session@bowline).
#define LIMIT_EARLY_SESSION (32u * 1024u)
// Bytes for the peer that a connection without a link keeps (doc/resume.md): a client
// that logs in and vanishes again and again leaves no more of each behind. One that has
// more already, sent before its link was lost, reads no more of what would be sent.
#define LIMIT_SUSPENDED_STORE (16u * 1024u * 1024u)
// Channels of one connection, all kinds together.
#define LIMIT_CHANNELS 1024
// Listeners of one connection (forwarded ports and paths, X11 displays, the agent), and
// helpers that look names up at a time: each is a descriptor or process that a peer gets
// for one small message. Further look-ups wait.
#define LIMIT_LISTENERS 128
#define LIMIT_LOOKUPS 16
// Requests of one channel, and global ones, that wait for an answer: a peer that asks
// faster than it is answered would make us remember without end.
#define LIMIT_REQUESTS_PENDING 1024
// Control messages waiting to be sent; from the first on the peer is not read any more.
#define LIMIT_CONTROL_PAUSE (64u * 1024u)
#define LIMIT_CONTROL_OUT (2u * 1024u * 1024u)
// Control messages for one channel that is not confirmed yet.
#define LIMIT_CONTROL_HELD (512u * 1024u)
// One line of a key file or configuration file (OpenSSH: 8 KiB keys; generous for
// certificates).
#define LIMIT_TEXT_LINE (64u * 1024u)
// Key files, configuration files, known_hosts: read whole, so bounded.
#define LIMIT_KEY_FILE (1024u * 1024u)
#define LIMIT_CONFIG_FILE (4u * 1024u * 1024u)
#define LIMIT_KNOWN_HOSTS (64u * 1024u * 1024u)
// Files included by files: depth (OpenSSH: 16).
#define LIMIT_INCLUDE_DEPTH 16
// bcrypt_pbkdf rounds taken from a key file: bounded work for a hostile file.
#define LIMIT_KDF_ROUNDS 65536
// The same for PBKDF2 of PKCS#8 files, whose rounds are cheaper by far.
#define LIMIT_PBKDF2_ROUNDS 10000000
// RSA modulus bits; below the first refused, above the second too slow (SSH_RSA_MINIMUM
// 1024).
#define LIMIT_RSA_MIN 1024
#define LIMIT_RSA_MAX 16384
// One message between server processes.
#define LIMIT_IPC_MESSAGE (96u * 1024u)
// Messages that wait for a process of ours which does not read; past it they are lost.
#define LIMIT_IPC_WAITING (1024u * 1024u)
// max-sources of PerSourcePenalties, of each family: what the keeper hands to the next
// listener, or keeper, stays below SETTINGS_MAX.
#define LIMIT_PENALTY_SOURCES 1000000
// A certificate's blob and the names in it (OpenSSH: 256); options are few.
#define LIMIT_CERTIFICATE (32u * 1024u)
#define LIMIT_CERTIFICATE_PRINCIPALS 256
#define LIMIT_CERTIFICATE_OPTIONS 64
// Revocation lists, binary or as text; and one bitmap of serials in them, in bytes.
#define LIMIT_KRL (64u * 1024u * 1024u)
#define LIMIT_KRL_BITMAP (64u * 1024u)
// A signature file of ssh-keygen -Y, armour included, and an allowed_signers file.
#define LIMIT_SSHSIG (64u * 1024u)
#define LIMIT_ALLOWED_SIGNERS (4u * 1024u * 1024u)
