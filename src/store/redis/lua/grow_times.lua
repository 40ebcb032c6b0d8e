-- KEYS: where a hash grows in parts. ARGV: 3... fields, each with the Unix ms when it ends.
for i = 3, #ARGV, 2 do
  redis.call('HPEXPIREAT', KEYS[FIRST], ARGV[i + 1], 'FIELDS', 1, ARGV[i])
end
return 1
