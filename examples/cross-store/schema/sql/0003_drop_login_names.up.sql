-- outpost: description = "Drop login_names, which sessions no longer need"
-- outpost: requires = ["redis/0002_session_account"]
--
-- The edge from SQL to Redis: until every session says itself which account it belongs to, the
-- application looks that up in login_names.

drop table login_names;
