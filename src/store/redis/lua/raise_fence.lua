-- KEYS: 1 the fence of a slot. ARGV: 1 our token, 2 how many ms of the lease are left.
-- A greater token is that of a runner that took over.
local there = redis.call('GET', KEYS[1])
if there and tonumber(there) > tonumber(ARGV[1]) then
  return redis.error_reply('LEASELOST the lease is not held any more')
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
