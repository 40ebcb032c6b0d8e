-- Outpost's ledger, format 1. Run in one transaction by the first acquire; every part may exist already.
create table if not exists outpost.ledger (
  one    boolean primary key default true check (one),
  format integer not null,
  uuid   uuid not null
);

create table if not exists outpost.migration (
  id              text primary key,
  status          text not null check (status in ('applied', 'skipped', 'partial', 'reverted')),
  how             text check (how in ('run', 'adopted', 'resolved')),
  cleaned         boolean not null default false,
  doing           text check (doing in ('apply', 'revert', 'cleanup')),
  reason          text,
  checksum        text not null,
  plan            text not null,
  at              timestamptz not null default clock_timestamp(),
  actor           text not null,
  statements_done integer,
  content         text,
  down            text
);
comment on column outpost.migration.statements_done is
  'statements outside a transaction that are done, of the file whose checksum is in content';

create table if not exists outpost.history (
  seq        bigint primary key,
  id         text not null,
  action     text not null,
  outcome    text not null check (outcome in ('done', 'failed')),
  detail     text,
  plan       text not null,
  actor      text not null,
  host       text not null,
  tool       text not null,
  started_at timestamptz not null,
  ended_at   timestamptz not null,
  previous   text not null,
  hash       text not null,
  signer     text
);

create or replace function outpost.refuse_change() returns trigger language plpgsql as
  E'begin raise exception ''outpost.history is append-only'' using errcode = ''42501''; end';
do E'begin
  if not exists (select from pg_catalog.pg_trigger
                  where tgrelid = ''outpost.history''::regclass and tgname = ''append_only'') then
    create trigger append_only before update or delete or truncate on outpost.history
      for each statement execute function outpost.refuse_change();
  end if;
end';

-- One row at most. Heartbeats change expires_at, which is no key, so they pass a transaction that holds
-- the row "for key share"; a takeover changes the token, which is one, so it waits.
create table if not exists outpost.lease (
  token      bigint primary key,
  id         text not null,
  holder     jsonb not null,
  since      timestamptz not null,
  expires_at timestamptz not null,
  one        boolean not null default true unique check (one)
);

-- Tokens never repeat, whatever is released, broken or rolled back.
create sequence if not exists outpost.token as bigint;

insert into outpost.ledger (format, uuid) values (1, gen_random_uuid()) on conflict do nothing;
