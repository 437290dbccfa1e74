"""Raw files of publishers -> canonical tables: a short file a format, one sink and one resolver for all."""
