// What a configuration means here, for people and as JSON: each value with the line that
// set it, the lines that it hides, blocks that can never hold, settings that are risky.
#pragma once

#include "conf/option.h"

struct explain {
    const struct conf_table *table;
    const void *base;              // the evaluated configuration
    const struct conf_head *head;  // its head
    // Ports that the server listens on, for LocalPort; none: not asked.
    const uint16_t *ports;
    size_t ports_n;
    const struct conf_problems *problems;
};

// Appends. ERR_LIMIT, ERR_MEMORY.
must_check enum err explain_text(const struct explain *x, struct buf *out);
// One JSON object {"values", "blocks", "risks", "problems"}; its members are
// described in bowline(1).
must_check enum err explain_json(const struct explain *x, struct buf *out);

// ---- parts, for tests ----

struct conf_script;
// Why the block can never hold, or NULL.
const char *explain_never(const struct explain *x, const struct conf_script *s,
                          uint32_t block);

struct conf_directive;
// Why the line is risky, or NULL.
const char *explain_risk(const struct conf_table *t, const struct conf_directive *d);
