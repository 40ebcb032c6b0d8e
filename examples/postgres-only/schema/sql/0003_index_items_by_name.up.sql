-- outpost: description = "Find items by name, without stopping writers while the index is built"
-- outpost: transaction = false

CREATE INDEX CONCURRENTLY items_name_idx ON items (name);
