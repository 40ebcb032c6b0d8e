-- outpost: description = "Create accounts, and the names that they log in with"

create table accounts (
    id bigint generated always as identity primary key,
    created_at timestamptz not null default now()
);

create table login_names (
    name text primary key,
    account_id bigint not null references accounts
);
