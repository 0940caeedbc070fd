// Why sessions ended: one line each in a small private journal, read by `bowline why`. It
// is a convenience: whatever goes wrong with it is passed over.
#pragma once

#include "client/client.h"
#include "client/ends_advice.h"

// From the facts of a run that ended with `e`.
enum ends_class ends_classify(const struct client *c, enum err e);

// Writes the line; and for a session that did not end by itself tells the person what is
// known of the link. Before the link is closed.
void ends_note(struct client *c, enum err e);
