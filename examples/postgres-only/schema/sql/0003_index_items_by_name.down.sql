-- outpost: transaction = false

DROP INDEX CONCURRENTLY items_name_idx;
