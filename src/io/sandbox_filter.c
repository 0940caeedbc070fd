// From rows to BPF: architecture, then the rows in their order, then the end of the
// process.
#include "io/sandbox_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#else
#error "name this machine's AUDIT_ARCH here"
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "argument halves are little-endian");

struct program {
    struct sock_filter *out;
    size_t n, room;
};

static void add(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no) {
    if (p->n < p->room)
        p->out[p->n] = (struct sock_filter){code, yes, no, k};
    p->n++;
}

static void load(struct program *p, size_t offset) {
    add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void finish(struct program *p, uint32_t action) {
    add(p, BPF_RET | BPF_K, action, 0, 0);
}

static uint32_t action_of(const struct sandbox_rule *rule) {
    return rule->error == 0
               ? SECCOMP_RET_ALLOW
               : SECCOMP_RET_ERRNO | ((uint32_t)rule->error & SECCOMP_RET_DATA);
}

// Jumps count from the next instruction. A row whose test fails reloads the number for
// the next.
static void add_rule(struct program *p, const struct sandbox_rule *rule) {
    if (rule->test == SANDBOX_ANY) {
        add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)rule->syscall, 0, 1);
        finish(p, action_of(rule));
        return;
    }
    bool equal = rule->test == SANDBOX_EQUAL;
    uint16_t test = BPF_JMP | BPF_K | (equal ? BPF_JEQ : BPF_JSET);
    size_t argument =
        offsetof(struct seccomp_data, args) + rule->argument * sizeof(uint64_t);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)rule->syscall, 0, 6);
    load(p, argument);
    add(p, test, (uint32_t)rule->value, equal ? 0 : 3, equal ? 3 : 0);
    load(p, argument + 4);
    add(p, test, (uint32_t)(rule->value >> 32), equal ? 0 : 1, equal ? 1 : 0);
    finish(p, action_of(rule));
    load(p, offsetof(struct seccomp_data, nr));
}

static uint32_t default_of(const struct sandbox *s) {
    return s->fail_all ? SECCOMP_RET_ERRNO | 1u /* EPERM */ : SECCOMP_RET_KILL_PROCESS;
}

size_t sandbox_filter_build(const struct sandbox *s, struct sock_filter *out,
                            size_t room) {
    struct program p = {out, 0, room};
    load(&p, offsetof(struct seccomp_data, arch));
    add(&p, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    finish(&p, SECCOMP_RET_KILL_PROCESS);
    load(&p, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
    // The x32 numbers are the same calls by another door.
    add(&p, BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1);
    finish(&p, SECCOMP_RET_KILL_PROCESS);
#endif
    for (size_t i = 0; i < s->rules_n; i++)
        add_rule(&p, &s->rules[i]);
    finish(&p, default_of(s));
    return p.n <= p.room && p.n <= BPF_MAXINSNS ? p.n : 0;
}

// The next rule about that call, from number i on; rules_n: none.
static size_t next_about(const struct sandbox *s, int syscall, size_t i) {
    while (i < s->rules_n && s->rules[i].syscall != syscall)
        i++;
    return i;
}

static bool same_rule(const struct sandbox_rule *a, const struct sandbox_rule *b) {
    return a->argument == b->argument && a->test == b->test && a->value == b->value &&
           a->error == b->error;
}

// Do both say the same about that call?
static bool agree(const struct sandbox *a, const struct sandbox *b, int syscall) {
    size_t i = next_about(a, syscall, 0), j = next_about(b, syscall, 0);
    while (i < a->rules_n && j < b->rules_n && same_rule(&a->rules[i], &b->rules[j])) {
        i = next_about(a, syscall, i + 1);
        j = next_about(b, syscall, j + 1);
    }
    return i == a->rules_n && j == b->rules_n;
}

// What `s` says about that call, whole.
static void add_call(struct program *p, const struct sandbox *s, int syscall) {
    for (size_t i = next_about(s, syscall, 0); i < s->rules_n;
         i = next_about(s, syscall, i + 1))
        add_rule(p, &s->rules[i]);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)syscall, 0, 1);
    finish(p, default_of(s));
}

size_t sandbox_filter_difference(const struct sandbox *in, const struct sandbox *s,
                                 struct sock_filter *out, size_t room) {
    struct program p = {out, 0, room};
    load(&p, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < in->rules_n; i++) {
        int syscall = in->rules[i].syscall;
        if (next_about(in, syscall, 0) == i && !agree(in, s, syscall))
            add_call(&p, s, syscall);
    }
    finish(&p, SECCOMP_RET_ALLOW);  // the filter that is there already decides
    return p.n <= p.room && p.n <= BPF_MAXINSNS ? p.n : 0;
}

size_t sandbox_filter_size(const struct sandbox *s) {
    struct sock_filter out[SANDBOX_FILTER_MAX];
    return sandbox_filter_build(s, out, SANDBOX_FILTER_MAX);
}
