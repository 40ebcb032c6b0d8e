-- outpost: data_loss = "all accounts and login names"

drop table login_names;
drop table accounts;
