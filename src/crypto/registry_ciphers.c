// The rows of ciphers, MACs and compression.
//
// AEAD ciphers come first: one pass, nothing to combine wrongly. registry.c moves
// chacha20-poly1305 to the front where the CPU has no AES instructions. Keys are renewed
// after 2^(block/4) blocks (RFC 4344 s.3.2) but never later than 4 GiB; chacha20, with
// its 64-bit block as SSH counts it, after 1 GiB as in OpenSSH.
#include <openssl/evp.h>

#include "crypto/packet_cipher_ops.h"
#include "crypto/registry_rows.h"

#define GIB (UINT64_C(1) << 30)
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

// name, key, iv, block, tag, clear length, rekey, ops, id, chained
static const struct cipher_alg aes128_gcm = {
    "aes128-gcm@openssh.com", 16,   12, 16, 16, true, 4 * GIB, &cipher_gcm_ops,
    FETCHED_AES_128_GCM,      false};
static const struct cipher_alg aes256_gcm = {
    "aes256-gcm@openssh.com", 32,   12, 16, 16, true, 4 * GIB, &cipher_gcm_ops,
    FETCHED_AES_256_GCM,      false};
static const struct cipher_alg chacha = {"chacha20-poly1305@openssh.com",
                                         64,
                                         0,
                                         8,
                                         16,
                                         false,
                                         GIB,
                                         &cipher_chacha_ops,
                                         FETCHED_CHACHA20,
                                         false};
static const struct cipher_alg aes128_ctr = {
    "aes128-ctr",        16,   16, 16, 0, false, 4 * GIB, &cipher_block_ops,
    FETCHED_AES_128_CTR, false};
static const struct cipher_alg aes192_ctr = {
    "aes192-ctr",        24,   16, 16, 0, false, 4 * GIB, &cipher_block_ops,
    FETCHED_AES_192_CTR, false};
static const struct cipher_alg aes256_ctr = {
    "aes256-ctr",        32,   16, 16, 0, false, 4 * GIB, &cipher_block_ops,
    FETCHED_AES_256_CTR, false};

// For old peers, and only where the configuration names them.
static const struct cipher_alg aes128_cbc = {
    "aes128-cbc",        16,  16, 16, 0, false, 4 * GIB, &cipher_block_ops,
    FETCHED_AES_128_CBC, true};
static const struct cipher_alg aes192_cbc = {
    "aes192-cbc",        24,  16, 16, 0, false, 4 * GIB, &cipher_block_ops,
    FETCHED_AES_192_CBC, true};
static const struct cipher_alg aes256_cbc = {
    "aes256-cbc",        32,  16, 16, 0, false, 4 * GIB, &cipher_block_ops,
    FETCHED_AES_256_CBC, true};
static const struct cipher_alg des3_cbc = {
    "3des-cbc",           24,  8, 8, 0, false, GIB / 32, &cipher_block_ops,
    FETCHED_DES_EDE3_CBC, true};

static const struct alg ciphers[] = {
    {ALG_CIPHER, "aes128-gcm@openssh.com", ALG_DEFAULT, {&aes128_gcm}},
    {ALG_CIPHER, "aes256-gcm@openssh.com", ALG_DEFAULT, {&aes256_gcm}},
    {ALG_CIPHER, "chacha20-poly1305@openssh.com", ALG_DEFAULT, {&chacha}},
    {ALG_CIPHER, "aes128-ctr", ALG_DEFAULT, {&aes128_ctr}},
    {ALG_CIPHER, "aes192-ctr", ALG_DEFAULT, {&aes192_ctr}},
    {ALG_CIPHER, "aes256-ctr", ALG_DEFAULT, {&aes256_ctr}},
    {ALG_CIPHER, "aes128-cbc", 0, {&aes128_cbc}},
    {ALG_CIPHER, "aes192-cbc", 0, {&aes192_cbc}},
    {ALG_CIPHER, "aes256-cbc", 0, {&aes256_cbc}},
    {ALG_CIPHER, "3des-cbc", 0, {&des3_cbc}},
};
const struct alg_rows cipher_rows = {ciphers, COUNT(ciphers)};

// In OpenSSH's order: encrypt-then-MAC first; UMAC before HMAC for its speed.
// name, key, tag, etm, umac, digest
static const struct mac_alg umac64_etm = {
    "umac-64-etm@openssh.com", 16, 8, true, true, 0};
static const struct mac_alg umac128_etm = {
    "umac-128-etm@openssh.com", 16, 16, true, true, 0};
static const struct mac_alg sha256_etm = {
    "hmac-sha2-256-etm@openssh.com", 32, 32, true, false, FETCHED_SHA256};
static const struct mac_alg sha512_etm = {
    "hmac-sha2-512-etm@openssh.com", 64, 64, true, false, FETCHED_SHA512};
static const struct mac_alg sha1_etm = {
    "hmac-sha1-etm@openssh.com", 20, 20, true, false, FETCHED_SHA1};
static const struct mac_alg umac64 = {"umac-64@openssh.com", 16, 8, false, true, 0};
static const struct mac_alg umac128 = {"umac-128@openssh.com", 16, 16, false, true, 0};
static const struct mac_alg sha256 = {"hmac-sha2-256", 32,    32,
                                      false,           false, FETCHED_SHA256};
static const struct mac_alg sha512 = {"hmac-sha2-512", 64,    64,
                                      false,           false, FETCHED_SHA512};
static const struct mac_alg sha1 = {"hmac-sha1", 20, 20, false, false, FETCHED_SHA1};

// For old peers, and only where the configuration names them.
static const struct mac_alg sha1_96_etm = {
    "hmac-sha1-96-etm@openssh.com", 20, 12, true, false, FETCHED_SHA1};
static const struct mac_alg md5_etm = {
    "hmac-md5-etm@openssh.com", 16, 16, true, false, FETCHED_MD5};
static const struct mac_alg md5_96_etm = {
    "hmac-md5-96-etm@openssh.com", 16, 12, true, false, FETCHED_MD5};
static const struct mac_alg sha1_96 = {"hmac-sha1-96", 20,    12,
                                       false,          false, FETCHED_SHA1};
static const struct mac_alg md5 = {"hmac-md5", 16, 16, false, false, FETCHED_MD5};
static const struct mac_alg md5_96 = {"hmac-md5-96", 16, 12, false, false, FETCHED_MD5};

static const struct alg macs[] = {
    {ALG_MAC, "umac-64-etm@openssh.com", ALG_DEFAULT, {&umac64_etm}},
    {ALG_MAC, "umac-128-etm@openssh.com", ALG_DEFAULT, {&umac128_etm}},
    {ALG_MAC, "hmac-sha2-256-etm@openssh.com", ALG_DEFAULT, {&sha256_etm}},
    {ALG_MAC, "hmac-sha2-512-etm@openssh.com", ALG_DEFAULT, {&sha512_etm}},
    {ALG_MAC, "hmac-sha1-etm@openssh.com", ALG_DEFAULT, {&sha1_etm}},
    {ALG_MAC, "umac-64@openssh.com", ALG_DEFAULT, {&umac64}},
    {ALG_MAC, "umac-128@openssh.com", ALG_DEFAULT, {&umac128}},
    {ALG_MAC, "hmac-sha2-256", ALG_DEFAULT, {&sha256}},
    {ALG_MAC, "hmac-sha2-512", ALG_DEFAULT, {&sha512}},
    {ALG_MAC, "hmac-sha1", ALG_DEFAULT, {&sha1}},
    {ALG_MAC, "hmac-sha1-96-etm@openssh.com", 0, {&sha1_96_etm}},
    {ALG_MAC, "hmac-md5-etm@openssh.com", 0, {&md5_etm}},
    {ALG_MAC, "hmac-md5-96-etm@openssh.com", 0, {&md5_96_etm}},
    {ALG_MAC, "hmac-sha1-96", 0, {&sha1_96}},
    {ALG_MAC, "hmac-md5", 0, {&md5}},
    {ALG_MAC, "hmac-md5-96", 0, {&md5_96}},
};
const struct alg_rows mac_rows = {macs, COUNT(macs)};

static const struct alg compressions[] = {
    {ALG_COMPRESSION, "none", ALG_DEFAULT, {NULL}},
    {ALG_COMPRESSION, "zlib@openssh.com", ALG_DEFAULT, {NULL}},
};
const struct alg_rows compression_rows = {compressions, COUNT(compressions)};
