-- Around a script that is to say what it changed: the server's count of changes before it, after it, and then
-- its answer. An error stays one.
local function count()
  local info = redis.pcall('INFO', 'persistence')
  return tonumber(type(info) == 'string' and string.match(info, 'rdb_changes_since_last_save:(%d+)') or -1)
end
local before = count()
local function script()
