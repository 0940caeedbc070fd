// Where libcrypto's objects lie. What it looks up once has a count of references, or a
// lock, to which every use writes: in processes that were forked after the looking up
// each such write makes a page the child's own. As libcrypto allocates them, they are
// strewn over its heap; gathered, they share a few pages.
#pragma once

// Before libcrypto's first allocation; later, or where somebody else looks after its
// memory, it does nothing. What the looking up allocates until memory_gathered() lies
// together and is never given back.
void memory_gather(void);
void memory_gathered(void);
