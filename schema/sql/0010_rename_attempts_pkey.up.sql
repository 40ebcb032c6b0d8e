-- outpost: description = "Name the primary key of attempts after its table"
--
-- 0005 left it called deliveries_pkey, which misleads in error messages and statistics. Renaming an
-- index renames its constraint, waits for no reader or writer and touches no row. Keys of partitions
-- that an operator added have names of their own and keep them.

alter index deliveries_pkey rename to attempts_pkey;
alter index if exists deliveries_default_pkey rename to attempts_default_pkey;
