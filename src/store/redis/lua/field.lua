-- Sets a hash field and keeps its own time to live, which HSET would clear (Redis 7.4, Valkey 9).
-- ARGV: 3 whether the server knows such times.
local function set(key, field, value, from)
  local at = -1
  if ARGV[3] == '1' then at = redis.call('HPEXPIRETIME', key, 'FIELDS', 1, from or field)[1] end
  redis.call('HSET', key, field, value)
  if at > 0 then redis.call('HPEXPIREAT', key, at, 'FIELDS', 1, field) end
end
