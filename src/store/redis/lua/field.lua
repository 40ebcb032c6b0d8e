-- Sets hash fields and keeps their own times to live, which HSET would clear (Redis 7.4, Valkey 9).
-- ARGV: 3 whether the server knows such times.
local function put(key, pairs, from)
  if ARGV[3] ~= '1' then
    redis.call('HSET', key, unpack(pairs))
    return
  end
  for i = 1, #pairs, 2 do
    local at = redis.call('HPEXPIRETIME', key, 'FIELDS', 1, from or pairs[i])[1]
    redis.call('HSET', key, pairs[i], pairs[i + 1])
    if at > 0 then redis.call('HPEXPIREAT', key, at, 'FIELDS', 1, pairs[i]) end
  end
end
