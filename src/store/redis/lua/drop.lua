-- KEYS: 4... keys of the tool's own.
for i = 4, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
return 1
