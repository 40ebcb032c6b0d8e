-- KEYS: keys. ARGV: 3 whether the server knows times to live of fields, 4 whether to overwrite, 5 number of
-- fields, 6... the fields, then each key's values.
local fields = tonumber(ARGV[5])
local overwrite = ARGV[4] == '1'
local at = 6 + fields
local answers = {}
for k = FIRST, #KEYS do
  local key = KEYS[k]
  local answer = 'done'
  for f = 0, fields - 1 do
    local field, value = ARGV[6 + f], ARGV[at + f]
    if overwrite then
      local found = redis.pcall('HGET', key, field)
      if type(found) == 'table' then
        answer = 'refused'
        break
      elseif found ~= value then
        if not found and redis.call('EXISTS', key) == 0 then
          answer = 'gone'
          break
        end
        put(key, {field, value})
        answer = 'written'
      end
    else
      local made = redis.pcall('HSETNX', key, field, value)
      if type(made) == 'table' then
        answer = 'refused'
        break
      elseif made == 1 then
        answer = 'written'
        -- A hash is never empty: the only field of this one is ours, so the key was gone, and goes again.
        if redis.call('HLEN', key) == 1 then
          redis.call('HDEL', key, field)
          answer = 'gone'
          break
        end
      end
    end
  end
  answers[#answers + 1] = answer
  at = at + fields
end
return answers
