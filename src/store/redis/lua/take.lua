-- KEYS: 4 a hash. ARGV: 3... fields that go.
for i = 3, #ARGV do
  redis.call('HDEL', KEYS[4], ARGV[i])
end
return 1
