-- KEYS: the locks. ARGV: how the value of a lock that may go begins. Answers how many went.
local gone = 0
for i = 1, #KEYS do
  local value = redis.call('GET', KEYS[i])
  if value and string.sub(value, 1, #ARGV[1]) == ARGV[1] then
    gone = gone + redis.call('DEL', KEYS[i])
  end
end
return gone
