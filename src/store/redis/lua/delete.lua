-- KEYS: keys. ARGV: 3 type or nothing.
local answers = {}
for k = FIRST, #KEYS do
  local kind = redis.call('TYPE', KEYS[k]).ok
  local answer = 'gone'
  if kind ~= 'none' then
    if ARGV[3] == '' or kind == ARGV[3] then
      redis.call('UNLINK', KEYS[k])
      answer = 'written'
    else
      answer = 'refused'
    end
  end
  answers[#answers + 1] = answer
end
return answers
