-- Each query returns what is wrong, so no row is good news.

select format('account %s shares its public id', min(id))
from accounts
group by public_id
having count(*) > 1;
