-- Sets hash fields and keeps their own times to live, which HSET would clear (Redis 7.4, Valkey 9).
-- `pairs` are fields and values, the first `used` of them or all; the time to live is that of `from`, or of
-- the field itself. ARGV: 3 whether the server knows such times.
local function put(key, pairs, used, from)
  used = used or #pairs
  if ARGV[3] ~= '1' then
    redis.call('HSET', key, unpack(pairs, 1, used))
    return
  end
  for i = 1, used, 2 do
    local at = redis.call('HPEXPIRETIME', key, 'FIELDS', 1, from or pairs[i])[1]
    redis.call('HSET', key, pairs[i], pairs[i + 1])
    if at > 0 then redis.call('HPEXPIREAT', key, at, 'FIELDS', 1, pairs[i]) end
  end
end
