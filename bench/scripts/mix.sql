-- Inserts, indexes, joins, aggregates, text, updates. ROWS is replaced by the size.
pragma journal_mode = memory;
create table sale(id integer primary key, customer integer, item text, amount real);
create table customer(id integer primary key, name text, region text);
insert into customer
  with recursive n(k) as (select 1 union all select k + 1 from n where k < 1000)
  select k, printf('customer %04d', k), substr('northsoutheast west ', k % 4 * 5 + 1, 5) from n;
insert into sale
  with recursive n(k) as (select 1 union all select k + 1 from n where k < ROWS)
  select k, k * 7919 % 1000 + 1, printf('item-%d', k * 31 % 977), k % 1009 / 7.0 from n;
create index sale_customer on sale(customer);
create index sale_item on sale(item);
select region, count(*), round(sum(amount), 3), min(item), max(item)
  from sale join customer on sale.customer = customer.id group by region order by region;
select count(distinct item), sum(length(item)) from sale where item like '%7%';
update sale set amount = amount * 1.1 where customer in (select id from customer where region = 'south');
delete from sale where id % 17 = 3;
select item, count(*) as n, round(total(amount), 2) from sale group by item order by n desc, item limit 10;
select round(avg(s), 4) from (select sum(amount) over (partition by customer order by id) as s from sale);
select upper(substr(group_concat(name), 1, 40)) from (select name from customer order by region, name desc);
select count(*) from sale a join sale b on b.id = a.id + 1 where a.amount < b.amount;
