"""Golden images from the line's own boards: made of verified-good images, chosen for later ones."""
