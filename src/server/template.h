// Memory of a process that others are forked from: what a child writes to is copied for
// it, page by page, so the fewer pages it meets the better.
#pragma once

// Takes every hole of the heap out of use, for good: what children allocate afterwards
// lies together at its end, in pages of their own. Once, when the template is complete.
void template_settle(void);

// The process is quiet: free heap pages, the pool of padding and the unused part of the
// stack go back.
void template_release(void);
