-- Renames back; nothing is lost.

alter index if exists attempts_default_pkey rename to deliveries_default_pkey;
alter index attempts_pkey rename to deliveries_pkey;
