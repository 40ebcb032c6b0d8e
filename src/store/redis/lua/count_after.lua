end
local answer = script()
if type(answer) == 'table' and answer.err then return answer end
return {before, count(), answer}
