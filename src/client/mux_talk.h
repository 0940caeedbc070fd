// A client's talk with a master: one request, then its answer.
#pragma once

#include "client/forward_spec.h"
#include "client/mux_message.h"

struct mux_talk {
    int fd;
    struct buf in;
    size_t taken;  // of `in`, by the message that was handed out last
    uint32_t next_id;
    bool tells;  // the master knows MUX_C_INFO
};

// Connects and says hello. ERR_NOT_FOUND: no such socket; ERR_REFUSED: nobody behind it.
// The fault has the words.
must_check enum err mux_talk_open(struct mux_talk *t, const char *path,
                                  struct fault *fault);
void mux_talk_close(struct mux_talk *t);
must_check enum err mux_talk_send(struct mux_talk *t, enum mux_number number,
                                  const void *fields);
// Passes a descriptor, as a single byte.
must_check enum err mux_talk_pass(struct mux_talk *t, int fd);
// The message that is there, or OK with number 0. Its views last until the next call.
// ERR_CLOSED: the master is gone.
must_check enum err mux_talk_next(struct mux_talk *t, struct mux_message *m,
                                  struct fault *fault);
// Reads what came; ERR_CLOSED at the end.
must_check enum err mux_talk_fill(struct mux_talk *t);
// Sends a request and waits for its answer.
must_check enum err mux_talk_ask(struct mux_talk *t, enum mux_number number,
                                 const void *fields, struct mux_message *answer,
                                 struct fault *fault);
// Waits for the next message.
must_check enum err mux_talk_answer(struct mux_talk *t, struct mux_message *m,
                                    struct fault *fault);
void mux_forward_fill(struct mux_forward *m, enum forward_kind kind,
                      const struct forward_spec *spec);
