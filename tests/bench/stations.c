/*
 * stations: see stations.h.
 */
#include "stations.h"

#include <stdio.h>

bson_t *stations_new(int number)
{
	char id[16];

	(void)snprintf(id, sizeof id, "st%05d", number);
	return BCON_NEW("station_id", BCON_UTF8(id), "name", BCON_UTF8("Buoy off the coast"),
		"loc_desc", BCON_UTF8("a place some 20 miles from the shore"), "condition", "{",
		"wind_speed_mph", BCON_DOUBLE(1.5 * number), "wind_direction_degrees",
		BCON_INT32(number), "gust_wind_speed_mph", BCON_DOUBLE(2.5 * number), "}",
		"location", "{", "type", BCON_UTF8("Point"), "coordinates", "[", BCON_DOUBLE(-80.1),
		BCON_DOUBLE(25.8), "]", "}");
}
