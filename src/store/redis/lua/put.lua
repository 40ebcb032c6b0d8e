-- KEYS: 4 a hash. ARGV: 3... fields and values.
for i = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 1])
end
return 1
