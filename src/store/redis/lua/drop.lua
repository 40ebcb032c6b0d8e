-- KEYS: keys of the tool's own.
for i = FIRST, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
return 1
