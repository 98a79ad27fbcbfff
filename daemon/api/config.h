/*
 * config: the methods Reload and Config; here is what the interface description says of what they tell.
 */
#ifndef WORKPOOL_API_CONFIG_H
#define WORKPOOL_API_CONFIG_H

/* The types Change and Setting, as text. */
extern const char config_types[];

#endif
