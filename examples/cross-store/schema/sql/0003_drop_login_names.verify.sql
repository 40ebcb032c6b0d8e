select 'login_names is still there' where to_regclass('login_names') is not null;
