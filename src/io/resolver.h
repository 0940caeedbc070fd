// Questions to the domain name system that getaddrinfo(3) has no words for.
#pragma once

#include "base/buf.h"
#include "base/fault.h"

// Asks for records of a type (class IN) of exactly that name, and puts the whole answer,
// at most 64 KiB, into *out (initialised by the caller). It says that it is authentic
// (AD) only where the system's administrator trusts the way to the resolver ("options
// trust-ad" in resolv.conf(5)); the C library takes that mark away otherwise. Blocks as
// long as resolv.conf lets it. OK for a name that does not exist too; ERR_NOT_FOUND: no
// usable answer.
must_check enum err resolver_ask(const char *name, uint16_t type, struct buf *out,
                                 struct fault *f);
