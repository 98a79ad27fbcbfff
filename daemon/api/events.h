/*
 * events: the method Events; here is what the interface description says of what it tells.
 */
#ifndef WORKPOOL_API_EVENTS_H
#define WORKPOOL_API_EVENTS_H

/* The type Event, as text. */
extern const char events_types[];

#endif
