// libvterm, loaded where a screen is to be painted: in a process of its own that ends
// afterwards.
#pragma once

#include "base/fault.h"
#include "terminal/screen.h"

must_check enum err screen_library_load(struct screen_library *library,
                                        struct fault *fault);
