-- outpost: data_loss = "the login names: the table comes back empty"

create table login_names (
    name text primary key,
    account_id bigint not null references accounts
);
