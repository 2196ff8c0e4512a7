"""One image to one decision at the plant: the edge machine's command and the web service."""
