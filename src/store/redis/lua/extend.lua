-- KEYS: 1 a lock. ARGV: 1 how its value begins, 2 life in ms.
local value = redis.call('GET', KEYS[1])
if not value or string.sub(value, 1, #ARGV[1]) ~= ARGV[1] then
  return redis.error_reply('LEASELOST the lease is not held any more')
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
