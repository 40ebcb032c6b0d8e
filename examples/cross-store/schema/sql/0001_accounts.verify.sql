select 'there is no table accounts' where to_regclass('accounts') is null;
