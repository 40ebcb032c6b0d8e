-- outpost: description = "Give accounts an id that may be shown"

alter table accounts add column public_id uuid not null default gen_random_uuid();
create unique index accounts_public_id_idx on accounts (public_id);
