package wire
import ("testing";"os";"bufio";"fmt";"encoding/hex";"encoding/json")
func TestZZ(t *testing.T){
 f,_:=os.Open("testdata/extensions.jsonl"); defer f.Close()
 out,_:=os.Create("/tmp/zz.txt"); defer out.Close(); w:=bufio.NewWriter(out); defer w.Flush()
 dec:=json.NewDecoder(f)
 count:=map[string]int{}
 emit:=func(ext []byte, label string){
  var e Encoder; var d Decoder
  b,form:=e.AppendBegin(nil,&Begin{TID:0x03f8a1b2c3d40100,Status:' ',User:[]byte("u\xff"),Extension:ext})
  count[label+form.String()]++
  m,err:=d.Decode(b); if err!=nil||string(m.(*Begin).Extension)!=string(ext){t.Fatal(err,ext)}
  fmt.Fprintln(w,form,hex.EncodeToString(ext),hex.EncodeToString(b))
 }
 for dec.More(){ var c struct{Stored []byte; Protocols []struct{Protocol int; Pickle []byte}}
  if err:=dec.Decode(&c);err!=nil{t.Fatal(err)}
  emit(c.Stored,"stored ")
  if e:=(Encoder{}); true { _,form:=e.AppendBegin(nil,&Begin{Extension:c.Stored}); if form==ExtensionHinted { fmt.Printf("HH %q\n   %q\n",c.Stored,e.spliced);  st,_,err:=e.toStored(nil,e.spliced); fmt.Printf("   %q %v\n",st,err)} }
  for _,p:=range c.Protocols{emit(p.Pickle,fmt.Sprint("p",p.Protocol," "))}
 }
 for _,s:=range []string{"garbage","\x80\x03}q\x00.","\x80\x03}q\x00X\x01\x00\x00\x00aq\x01cuuid\nUUID\nq\x02)\x81q\x03s.","}q\x01U\x01kU\x01\xffs.","(dp1\nS'k\\xff'\np2\nI1\ns.", "\x80\x02}q\x00X\x01\x00\x00\x00aK\x01s.trailing"}{emit([]byte(s),"other ")}
 for k,v:=range count{fmt.Println(k,v)}
}
