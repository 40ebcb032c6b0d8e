-- KEYS: 4... keys. ARGV: 4 whether to overwrite, 5 number of fields, 6... the fields, then each key's values.
local fields = tonumber(ARGV[5])
local at = 6 + fields
local answers = {}
for k = 4, #KEYS do
  local kind = redis.call('TYPE', KEYS[k]).ok
  local answer = 'done'
  if kind == 'none' then
    answer = 'gone'
  elseif kind ~= 'hash' then
    answer = 'refused'
  else
    for f = 0, fields - 1 do
      local field, value = ARGV[6 + f], ARGV[at + f]
      local found = redis.call('HGET', KEYS[k], field)
      if not found or (ARGV[4] == '1' and found ~= value) then
        set(KEYS[k], field, value)
        answer = 'written'
      end
    end
  end
  answers[#answers + 1] = answer
  at = at + fields
end
return answers
