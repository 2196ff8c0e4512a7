"""How good the data of a plant are."""
