"""Rules on files around the code: requirements, images, scripts, settings, native sources."""
