// Prints the table of events for doc/events.md: "event", name, teller, meaning, fields
// (comma-separated); then "field", name, type, most bytes, meaning. Tabs between. Runs at
// build time alone.
#include <stdio.h>

#include "server/event_table.h"

static void print_event(enum event_number number) {
    printf("event\t%s\t%s\t%s\t", event_name(number),
           event_of_holder(number) ? "holder" : "keeper", event_meaning(number));
    const char *comma = "";
    for (unsigned f = 0; f < EVENT_FIELDS_N; f++)
        if (event_fields(number) >> f & 1) {
            printf("%s%s", comma, event_field_name((enum event_field)f));
            comma = ",";
        }
    printf("\n");
}

int main(void) {
    printf("schema\t%u\n", EVENT_SCHEMA);
    for (unsigned i = 0; i < EVENT_COUNT; i++)
        print_event((enum event_number)i);
    for (unsigned f = 0; f < EVENT_FIELDS_N; f++)
        printf("field\t%s\t%s\t%zu\t%s\n", event_field_name((enum event_field)f),
               event_field_type((enum event_field)f),
               event_field_max((enum event_field)f),
               event_field_meaning((enum event_field)f));
    return 0;
}
